"""Services of users: on FastAPI and on Starlette, on a real server, asked by a real client."""
