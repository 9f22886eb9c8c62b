#!/usr/bin/env python3
"""Verifies a tdxkit manifest and looks a TD's registers up in it. Written from docs/MANIFEST.md alone.

    read_manifest.py --key alice.pub --key bob.pub --threshold 2 [--time T] MANIFEST [MRTD RTMR0 RTMR1 RTMR2]

Prints the variant that has the four registers, or without registers how many variants there are. Exit code 1: rejected.
Needs the package cryptography.
"""
import argparse
import base64
import datetime
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://github.com/tdxkit/tdxkit/predicate/reference-values/v1"


class Rejected(Exception):
    pass


def members(pairs):
    """Refuses two members whose names are equal or differ in case only."""
    if len({name.casefold() for name, _ in pairs}) != len(pairs):
        raise Rejected("a member occurs twice")
    return dict(pairs)


def parse(data):
    return json.loads(data.decode("utf-8"), object_pairs_hook=members)


def only(value, *names):
    if set(value) - set(names):
        raise Rejected("unknown members: %s" % (set(value) - set(names)))
    return value


def verifies(key, signature, message):
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            digest = {256: hashes.SHA256(), 384: hashes.SHA384()}[key.curve.key_size]
            key.verify(signature, message, ec.ECDSA(digest))
        return True
    except InvalidSignature:
        return False


def open_envelope(data, keys, threshold):
    """Returns the payload if at least threshold distinct keys signed it, and nobody else did."""
    envelope = only(parse(data), "payload", "payloadType", "signatures")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise Rejected("payload type %r" % envelope["payloadType"])
    payload = base64.b64decode(envelope["payload"], validate=True)
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signed = set()
    for s in envelope["signatures"]:
        only(s, "keyid", "sig")
        by = [i for i, k in keys.items() if s["keyid"] in ("", i) and verifies(k, base64.b64decode(s["sig"], validate=True), message)]
        if not by or by[0] in signed:
            raise Rejected("a signature is by no known key, or the second by one key")
        signed.add(by[0])
    if len(signed) < threshold:
        raise Rejected("%d keys signed, want %d" % (len(signed), threshold))
    return payload


def main():
    arg = argparse.ArgumentParser()
    arg.add_argument("--key", action="append", required=True)
    arg.add_argument("--threshold", type=int, required=True)
    arg.add_argument("--time", default=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
    arg.add_argument("manifest")
    arg.add_argument("registers", nargs="*")
    args = arg.parse_args()
    keys = {}
    for path in args.key:
        key = serialization.load_pem_public_key(open(path, "rb").read())
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        keys[hashlib.sha256(der).hexdigest()] = key
    statement = parse(open_envelope(open(args.manifest, "rb").read(), keys, max(args.threshold, 1)))
    if statement["_type"] != "https://in-toto.io/Statement/v1" or statement["predicateType"] != PREDICATE_TYPE:
        raise Rejected("statement of another type")
    p = only(statement["predicate"], "product", "serial", "issuedAt", "notBefore", "expires", "tool", "source", "launch",
             "policy", "variants", "platforms", "layouts", "digests")
    if not p["notBefore"] <= args.time < p["expires"]:
        raise Rejected("good from %s until %s, and it is %s" % (p["notBefore"], p["expires"], args.time))
    print(p["product"]["name"], p["product"]["version"], "serial", p["serial"], "with", len(p["variants"]), "variants")
    if not args.registers:
        return
    for v in p["variants"]:
        if [p["digests"][i] for i in v["registers"]] == args.registers:
            print("variant", v["id"])
            return
    raise Rejected("no variant has these registers")


if __name__ == "__main__":
    try:
        main()
    except (Rejected, ValueError, KeyError) as e:
        sys.exit("rejected: %s" % e)
