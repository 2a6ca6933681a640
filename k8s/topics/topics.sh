#!/bin/sh
# Makes the topics where they are missing, then sets what they must have; running it again changes nothing. The number
# of partitions is set once, when a topic is made: raising it later breaks the order of a task's events.
#
# PARTITIONS, REPLICAS   of each topic
# MIN_INSYNC_REPLICAS    as many must have what is acknowledged (acks=all); Redpanda passes over it and waits for more
#                        than half of them
# ACL_USER               the worker's user at the broker; empty: no ACLs are made
# RPK_…                  where the broker is, and how to log in (rpk's own variables)
set -eu

week_ms=604800000   # less than reminders.retention, 8 days: a replay then revives nothing that was forgotten
month_ms=2592000000 # what went wrong is looked at later

topic() { # NAME RETENTION_MS
  rpk topic create "$1" --if-not-exists --partitions "$PARTITIONS" --replicas "$REPLICAS"
  # LogAppendTime: the broker's clock stamps a record. A producer's may be wrong, and the worker takes this stamp where
  # an event has none of its own.
  rpk topic alter-config "$1" \
    --set "retention.ms=$2" \
    --set "min.insync.replicas=$MIN_INSYNC_REPLICAS" \
    --set cleanup.policy=delete \
    --set message.timestamp.type=LogAppendTime
}

topic task-events "$week_ms"
topic task-updates "$week_ms"
topic reminders "$week_ms"
topic reminder-actions "$week_ms"
topic user-preferences "$week_ms"
# What the worker drops, and what the apps that hear reminders do.
topic reminder-worker-dead-letters "$month_ms"
topic reminders-dead-letters "$month_ms"

if [ -n "${ACL_USER:-}" ]; then
  allow() { rpk security acl create --allow-principal "User:$ACL_USER" "$@"; }
  # It hears task events, what users do about reminders and what they prefer, publishes what apps hand it, and hears its
  # own reminders as receipts.
  allow --operation read,write,describe --topic task-events --topic task-updates --topic reminders
  allow --operation read,write,describe --topic reminder-actions
  allow --operation read,describe --topic user-preferences
  allow --operation write,describe --topic reminder-worker-dead-letters
  allow --operation read,describe --group reminder-worker
fi
