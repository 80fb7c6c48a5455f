"""The folder that leaves for a device: its manifest, its golden data, and the checks that it carries."""
