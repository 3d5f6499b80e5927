"""Board: the admin routes (JSON) and the pages by which a person sees the queues. One ASGI app, mountable anywhere."""

from board.app import create_app

__all__ = ["create_app"]
