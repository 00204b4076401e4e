#!/usr/bin/env python3
"""Counts GoogleTest cases of one Bazel run: prints "PASSED FAILED SKIPPED"; details of failures go to stderr.

count.py STATUS EVENTS: Bazel's exit status, and the file of --build_event_json_file. The exit status is
Bazel's, so that nothing which only Bazel noticed is lost.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree

LOG_LINES = 200


def path_of(uri):
    return urllib.parse.unquote(urllib.parse.urlparse(uri).path)


def show(label, log):
    print("--- %s" % label, file=sys.stderr)
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
    except OSError as error:
        print("(no log: %s)" % error, file=sys.stderr)
        return
    if len(lines) > LOG_LINES:
        print("(the last %d of %d lines)" % (LOG_LINES, len(lines)), file=sys.stderr)
    print("\n".join(lines[-LOG_LINES:]), file=sys.stderr)


def skipped_by_script(log):
    """What a test that is a script says that it left out, a line each."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            return [line.strip()[len("SKIPPED: "):] for line in file if line.startswith("SKIPPED: ")]
    except OSError:
        return []


def cases(path):
    """(passed, failed, names of those that were skipped) in one test.xml."""
    passed = failed = 0
    skipped = []
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return 0, 0, []
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            reason = case.find("skipped")
            message = reason.get("message", "") if reason is not None else ""
            skipped.append("%s.%s: %s" % (case.get("classname", ""), case.get("name", ""), " ".join(message.split())))
        elif case.get("status") != "notrun":
            passed += 1
    return passed, failed, skipped


def main():
    status = int(sys.argv[1])
    passed = failed = skipped = 0
    attempts = {}
    unbuilt = set()
    incompatible = set()
    seen_last = False
    try:
        with open(sys.argv[2], encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                identity = event.get("id", {})
                seen_last = seen_last or event.get("lastMessage", False)
                if "testResult" in event:
                    key = identity["testResult"]
                    # The last attempt of each shard of each run is the one that counts.
                    attempts[key["label"], key.get("run", 1), key.get("shard", 1)] = event["testResult"]
                elif "targetCompleted" in identity and event.get("aborted", {}).get("reason") == "SKIPPED":
                    incompatible.add(identity["targetCompleted"]["label"])
                elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
                    unbuilt.add(identity["targetCompleted"]["label"])
    except (OSError, ValueError) as error:
        print("no account of the run: %s" % error, file=sys.stderr)
    for (label, _, _), result in sorted(attempts.items()):
        outputs = {out["name"]: path_of(out.get("uri", "")) for out in result.get("testActionOutput", [])}
        p, f, names = cases(outputs.get("test.xml", ""))
        names += skipped_by_script(outputs.get("test.log", ""))
        for name in names:
            print("skipped: %s: %s" % (label, name), file=sys.stderr)
        s = len(names)
        if result.get("status") != "PASSED":
            # It may have died before it could say which case failed.
            f = max(f, 1)
            show("%s: %s" % (label, result.get("status")), outputs.get("test.log", ""))
        elif p + f + s == 0:
            p = 1
        passed, failed, skipped = passed + p, failed + f, skipped + s
    tested = {label for label, _, _ in attempts}
    for label in sorted(incompatible):
        print("skipped: %s: not for this configuration" % label, file=sys.stderr)
    skipped += len(incompatible)
    for label in sorted(unbuilt - tested):
        print("--- %s: not built" % label, file=sys.stderr)
        failed += 1
    if status != 0 and failed == 0:
        failed = 1
    print(passed, failed, skipped)
    return status


if __name__ == "__main__":
    sys.exit(main())
