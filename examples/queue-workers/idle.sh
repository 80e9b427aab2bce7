#!/bin/sh
# Exit status 0: this server may leave. The worker holds this lock while it has a job.
exec flock --nonblock /run/worker.lock true
