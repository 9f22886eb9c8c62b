#!/usr/bin/env python3
"""Verifies a tdxkit manifest and looks a TD's registers up in it. Written from docs/MANIFEST.md alone.

    read_manifest.py --key alice.pub --key bob.pub --threshold 2 --product acme-node [--serial N] [--time T] MANIFEST [MRTD RTMR0 RTMR1 RTMR2]

Prints the variant that has the four registers, or without registers how many variants there are. Exit code 1: rejected.
Needs the package cryptography.
"""
import argparse
import base64
import datetime
import hashlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

import manifest_form
from manifest_form import Rejected, members, moment, need, one_of, text

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def verifies(key, signature, message):
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ec.ECDSA({"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384()}[key.curve.name]))
        return True
    except InvalidSignature:
        return False


def open_envelope(data, keys, threshold):
    """Returns the payload if at least threshold distinct keys signed it, and nobody else did."""
    envelope = manifest_form.parse(data)
    members({"payload": lambda v: None, "payloadType": one_of(PAYLOAD_TYPE), "signatures": manifest_form.items(members({"keyid": lambda v: None, "sig": text}), 1)})(envelope)
    payload = base64.b64decode(envelope["payload"], validate=True)
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signed = set()
    for s in envelope["signatures"]:
        by = [i for i, k in keys.items() if s["keyid"] in ("", i) and verifies(k, base64.b64decode(s["sig"], validate=True), message)]
        need(by and by[0] not in signed, "a signature is by no known key, or the second by one key")
        signed.add(by[0])
    need(len(signed) >= max(threshold, 1), "%d keys signed, want %d" % (len(signed), threshold))
    return payload


def read(data, keys, threshold, product, serial, now):
    """Returns the predicate of a manifest that is good."""
    p = manifest_form.check(open_envelope(data, keys, threshold))["predicate"]
    need(p["product"]["name"] == product, "it is of %s" % p["product"]["name"])
    need(p["notBefore"] <= now < p["expires"], "good from %s until %s, and it is %s" % (p["notBefore"], p["expires"], now))
    need(p["serial"] >= serial, "its serial number is %d, want at least %d" % (p["serial"], serial))
    return p


def read_keys(paths):
    keys = {}
    for path in paths:
        with open(path, "rb") as f:
            key = serialization.load_pem_public_key(f.read())
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        need(isinstance(key, ed25519.Ed25519PublicKey) or isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"), path)
        keys[hashlib.sha256(der).hexdigest()] = key
    return keys


def main():
    arg = argparse.ArgumentParser()
    arg.add_argument("--key", action="append", required=True)
    arg.add_argument("--threshold", type=int, required=True)
    arg.add_argument("--product", required=True)
    arg.add_argument("--serial", type=int, default=1, help="the least that is taken")
    arg.add_argument("--time", default=datetime.datetime.now(datetime.timezone.utc).strftime(manifest_form.TIME))
    arg.add_argument("manifest")
    arg.add_argument("registers", nargs="*")
    args = arg.parse_args()
    moment(args.time)
    with open(args.manifest, "rb") as f:
        p = read(f.read(), read_keys(args.key), args.threshold, args.product, args.serial, args.time)
    print(p["product"]["name"], p["product"]["version"], "serial", p["serial"], "with", len(p["variants"]), "variants")
    if args.registers:
        found = [v["id"] for v in p["variants"] if [p["digests"][i] for i in v["registers"]] == args.registers]
        need(found, "no variant has these registers")
        print("variant", found[0])


if __name__ == "__main__":
    try:
        main()
    except (Rejected, ValueError, RecursionError) as e:
        sys.exit("rejected: %s" % e)
