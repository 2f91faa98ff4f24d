"""What runs in the 0.14 environment: code that a test sends is executed as a lab's own, one JSON line each."""

import json
import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import datajoint as dj
import element
import wire


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what DataJoint prints is no answer
    host, port, user, password = json.loads(sys.stdin.readline())
    dj.config.update({"database.host": host, "database.port": port, "database.user": user})
    dj.config.update({"database.password": password, "database.use_tls": False, "safemode": False, "loglevel": "ERROR"})
    dj.logger.setLevel("ERROR")
    labs = {}
    for line in sys.stdin:
        order = json.loads(line)
        names = labs.setdefault(order["lab"], {"dj": dj, "element": element})
        names.update(wire.unpack(order["values"]))
        names["result"] = None
        try:
            exec(compile(order["code"], "<lab>", "exec"), names)
            answer = {"result": wire.pack(names["result"])}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error), "trace": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
