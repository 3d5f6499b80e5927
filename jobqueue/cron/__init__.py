"""Cron: a table that is the truth, and job schedulers in Redis that follow it."""

from jobqueue.cron.checking import CronFields
from jobqueue.cron.cron_jobs import CronJobs
from jobqueue.cron.patterns import next_run, next_runs, repeat_strategy
from jobqueue.cron.sync import SyncReport
from jobqueue.cron.table import CronJob

__all__ = ["CronFields", "CronJob", "CronJobs", "SyncReport", "next_run", "next_runs", "repeat_strategy"]
