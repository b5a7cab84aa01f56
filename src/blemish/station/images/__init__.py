"""Pictures for the page: pyramids of tiles and crops, made by a child process, never by the server itself."""
