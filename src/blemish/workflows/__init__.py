"""Use cases of blemish, a file each: what the command line and the Python API call. Nothing here prints."""
