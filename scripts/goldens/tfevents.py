"""Writes train/internal/tfevents/testdata/golden.json, an event file in hexadecimal, with TensorBoard's own messages and record writer.

    pip install tensorboard
    python scripts/goldens/tfevents.py
"""

import io
import json
import os

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

path = os.path.join(os.path.dirname(__file__), "../../train/internal/tfevents/testdata/golden.json")
os.makedirs(os.path.dirname(path), exist_ok=True)
f = io.BytesIO()
w = RecordWriter(f)
w.write(Event(wall_time=1700000000.25, file_version="brain.Event:2").SerializeToString())
w.write(Event(wall_time=1700000000.25, step=41, session_log=SessionLog(status=SessionLog.START)).SerializeToString())
for step, loss in (41, 2.5), (300, float("nan")), (70000, -1e-7):
    w.write(
        Event(
            wall_time=1700000001.5,
            step=step,
            summary=Summary(value=[Summary.Value(tag="train/loss", simple_value=loss), Summary.Value(tag="train/lr", simple_value=0.1)]),
        ).SerializeToString()
    )
w.flush()
with open(path, "w") as out:
    json.dump({"hex": f.getvalue().hex()}, out)
    out.write("\n")
