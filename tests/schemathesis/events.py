#!/usr/bin/env python3
"""events.py URL SCHEMA: each line of the events of each job that a daemon knows is what the schema says."""

import json
import sys
import urllib.request

import jsonschema_rs

url, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    schema = json.load(file)
jsonschema_rs.meta.validate(schema)
validator = jsonschema_rs.Draft202012Validator(schema)


def get(target):
    with urllib.request.urlopen(f"{url}/v1/{target}") as answer:
        return answer.read().decode()


# A pull that works without any network, so that there is more than failures.
request = urllib.request.Request(
    f"{url}/v1/image.pull",
    data=json.dumps({"source": "demo", "name": "events-demo", "kernel": {"none": True}}).encode(),
    headers={"content-type": "application/json"},
)
with urllib.request.urlopen(request) as answer:
    demo = json.load(answer)["id"]

lines = {job["id"]: get(f"job.events?id={job['id']}").splitlines() for job in json.loads(get("job.list"))}
lines[demo] = get(f"job.events?id={demo}").splitlines()
types = set()
for number, told in lines.items():
    for line in told:
        event = json.loads(line)
        validator.validate(event)
        types.add(event["type"])
    if json.loads(told[-1])["type"] not in ("done", "failed"):
        sys.exit(f"events: job {number} has no end: {told[-1]}")
if json.loads(lines[demo][-1])["type"] != "done":
    sys.exit(f"events: the demo image does not come: {lines[demo][-1]}")
print(f"events: {sum(map(len, lines.values()))} lines of {len(lines)} jobs: {', '.join(sorted(types))}")
