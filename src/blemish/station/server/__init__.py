"""The station's server: the API, the page, and the processes that it starts."""
