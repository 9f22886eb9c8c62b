"""Reads an RVPS message as Trustee's service and its sample extractor declare them, and compares its values.

confidential-containers/trustee 78962cd4: rvps/src/lib.rs, Message (version 0.1.0, payload and type are strings);
rvps/src/extractors/sample, Provenance (base64 of a JSON object of names and values);
attestation-service/src/ear_token/ear_default_policy_cpu.rego (names, values in lower-case hex).
"""
import base64
import csv
import json
import sys

message = json.load(open(sys.argv[1]))
assert set(message) == {"version", "type", "payload"}, message.keys()
assert message["version"] == "0.1.0" and message["type"] == "sample"
values = json.loads(base64.b64decode(message["payload"], validate=True))
columns = list(zip(*csv.reader(open(sys.argv[2]))))
for name, column in zip(["mr_td", "rtmr_0", "rtmr_1", "rtmr_2"], columns[1:]):
    assert set(values[name]) == set(column), name
for name in ["tdvfkernel", "tdvfkernelparams"]:  # compared with ==, so that one value is no list
    assert isinstance(values[name], str) and len(values[name]) == 96, name
assert values["xfam"] == ["e702060000000000"]
