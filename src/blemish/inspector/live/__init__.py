"""Live sources of images: streams, cameras and watched folders, which end when the user says so."""
