"""Stateful models: hypothesis moves jobs, workers, tools and the clock about on a real Redis, step by step, and after
each step a model in plain Python says whether the pattern still holds.

Each run of the suite is a short one. `HYPOTHESIS_PROFILE=long python -m pytest tests/models` takes more than 10,000
steps for each model and says at its end how many it took.
"""
