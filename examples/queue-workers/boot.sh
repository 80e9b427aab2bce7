#!/bin/sh
# Starts the worker. Yours takes messages from $QUEUE_URL with the instance profile's credentials; it is in the AMI.
set -eu
setsid /usr/local/bin/worker >/var/log/worker.log 2>&1 </dev/null &
