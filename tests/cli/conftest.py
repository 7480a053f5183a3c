from tiny_net import registered, video_folder

__all__ = ["registered", "video_folder"]
