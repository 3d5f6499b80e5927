"""Names that a page takes for granted: `given/<page>.py`, with `_` for each `-` in the page's name.

Its public names are there before the page's first block. In capitals it tells the harness:

- `FAILS`: the handlers of which a job may fail or be retried while the page runs.
- `JOBS_REGISTRY`: what the commands of the page know in place of the handlers that come with jobqueue.
- `SETTINGS`: variables of the page's environment; `{folder}` is the page's folder.
- `FILES`: what lies in the page's folder, text by path.
- `ROWS`: statements, for the page's database.
"""
