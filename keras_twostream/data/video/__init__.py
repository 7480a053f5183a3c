"""A video file: its packets, its frames, its size, and writing one."""
