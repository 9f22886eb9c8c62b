"""The form of a statement, as docs/MANIFEST.md has it: check(data) returns the statement, or raises Rejected."""
import datetime
import json
import re

URL, TIME = "https://github.com/tdxkit/tdxkit/predicate/reference-values/v1", "%Y-%m-%dT%H:%M:%SZ"
STATUSES = ("UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate",
            "OutOfDateConfigurationNeeded", "Revoked")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Rejected(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Rejected(what)


def parse(data):
    """Reads JSON with integers alone, in which no two members of an object have one name, or names that differ in case only."""
    def members(pairs):
        need(len({name.casefold() for name, _ in pairs}) == len(pairs), "a member occurs twice")
        return dict(pairs)

    def refuse(text):
        raise Rejected("%s is not an integer as it is written here" % text)
    return json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_float=refuse, parse_constant=refuse,
                      parse_int=lambda text: int(text) if text[0] != "-" else refuse(text))


# What a value may be: functions that refuse what is none. A name of a member that ends in ? may be absent.
def number(least=0, most=2**53):
    return lambda v: need(type(v) is int and least <= v <= most, "%r is not a number from %d to %d" % (v, least, most))


def digits(count):
    return lambda v: need(type(v) is str and re.fullmatch("[0-9a-f]{%d}" % count, v), "%r is not %d hex digits" % (v, count))


def one_of(*values):
    return lambda v: need(type(v) is str and v in values, "%r is not one of %r" % (v, values))


def items(item, least=0):
    return lambda v: need(type(v) is list and len(v) >= least, "not a list of %d or more" % least) or [item(i) for i in v]


def text(v, least=1):
    need(type(v) is str and least <= len(v.encode()) <= 4096 and not CONTROL.search(v), "%r is not text" % v)


def moment(v):
    need(type(v) is str and datetime.datetime.strptime(v, TIME).strftime(TIME) == v, "%r is not a time" % v)


def members(known):
    def check(v):
        need(type(v) is dict and set(v) <= {n.rstrip("?") for n in known}, "no object, or one with members that are not known")
        for name, good in known.items():
            need(name in v or name[-1] == "?", "%s is missing" % name)
            good(v[name.rstrip("?")]) if name.rstrip("?") in v else None
    return check


def field(*rules):
    one, other = members({"rule": one_of("one-of"), "values": items(DIGEST, 1)}), members({"rule": one_of(*rules)})
    return lambda v: one(v) if type(v) is dict and "values" in v else other(v)


NAMED, DIGEST = members({"name": text, "version": text}), digits(96)
MASK = members({"mask": digits(16), "value": digits(16)})
POLICY = members({
    "attributes?": MASK, "xfam?": MASK, "mrSeam?": items(DIGEST, 1),
    "mrConfigId?": field("zero", "dstack"), "mrOwner?": field("zero"),
    "minimumTcb?": members({"evaluationDataNumber?": number(1, 2**32), "date?": moment, "statuses?": items(one_of(*STATUSES), 1), "teeTcbSvn?": digits(32)})})
STATEMENT = members({
    "_type": one_of("https://in-toto.io/Statement/v1"), "predicateType": one_of(URL),
    "subject": items(members({"name": text, "digest": members({"sha256": digits(64), "sha384": DIGEST})}), 1),
    "predicate": members({
        "product": NAMED, "serial": number(1), "issuedAt": moment, "notBefore": moment, "expires": moment, "tool": NAMED,
        "source?": members({"repository": text, "commit": text, "recipe?": text, "dependencies?": items(members(
            {"name": text, "uri?": text, "version?": text, "sha256?": digits(64)}))}),
        "launch?": members({"mrtdSinglePass": DIGEST, "mrtdTwoPass": DIGEST, "hobBase": number(), "accepted": items(members(
            {"start": number(), "length": number(1)}), 1)}),
        "policy?": POLICY,
        "variants": items(members({"id": text, "platform": number(), "cpus": number(1, 65536), "memory": number(1, 2**52), "registers": items(number()),
                                   "layout?": number(), "events?": items(number())}), 1),
        "platforms": items(members({"qemu": text, "machine": text, "devices?": text, "arguments?": items(lambda v: text(v, 0)), "inputs": items(number())})),
        "layouts?": items(items(members({"rule": text, "register": one_of("rtmr0", "rtmr1", "rtmr2"), "type": number(0, 2**32 - 1), "what": text}))),
        "digests": items(DIGEST)})})


def check_references(names, p):
    """Asks that indexes point somewhere, and that nothing is there twice."""
    need(len(set(names)) == len(names) and len({v["id"] for v in p["variants"]}) == len(p["variants"]), "two subjects or variants with one name")
    need(p["notBefore"] < p["expires"] and p["issuedAt"] < p["expires"], "expires before it is good")
    for platform in p["platforms"]:
        inputs = platform["inputs"]
        need(inputs == sorted(set(inputs)) and all(i < len(names) for i in inputs), "inputs that are not subjects in order")
        roles = [names[i].split("/")[0] for i in inputs]
        need("firmware" in roles and len(set(roles)) == len(roles) and set(roles) <= {"firmware", "kernel", "initrd", "cmdline"}, "inputs %r" % roles)
    for v in p["variants"]:
        indexes = v["registers"] + v.get("events", [])
        need(len(v["registers"]) == 4 and v["platform"] < len(p["platforms"]) and all(i < len(p["digests"]) for i in indexes), "an index of %s" % v["id"])
        need(p["digests"][v["registers"][0]].strip("0") and ("layout" in v) == ("events" in v), "%s without MRTD, or with events and no layout" % v["id"])
        need("layout" not in v or v["layout"] < len(p.get("layouts", [])) and len(p["layouts"][v["layout"]]) == len(v["events"]), "events of %s" % v["id"])
    need("0" * 96 not in p.get("policy", {}).get("mrSeam", []), "an mrSeam of zeros")
    for mask in (p.get("policy", {}).get(f, {"mask": "0", "value": "0"}) for f in ("attributes", "xfam")):
        need(not int(mask["value"], 16) & ~int(mask["mask"], 16), "a value outside its mask")
    end = 0
    for region in p.get("launch", {}).get("accepted", []):
        need(region["start"] >= end, "regions that overlap")
        end = region["start"] + region["length"]


def check(data):
    statement = parse(data)
    STATEMENT(statement)
    need(list(statement).index("predicateType") < list(statement).index("predicate"), "the predicate stands before its type")
    check_references([s["name"] for s in statement["subject"]], statement["predicate"])
    return statement
