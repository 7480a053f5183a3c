from tiny_net import build, items, registered, video_folder

__all__ = ["build", "items", "registered", "video_folder"]
