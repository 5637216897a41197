"""Renders templates with the real Jinja2: one JSON object a line in, one out.

In:  {"template": text, "data": object, "html": bool}
Out: {"result": text} or {"error": name of the exception}
"""

import json
import sys

import jinja2
from jinja2.sandbox import SandboxedEnvironment

ENVIRONMENTS = {html: SandboxedEnvironment(autoescape=html) for html in (False, True)}


def render(case):
    try:
        template = ENVIRONMENTS[case["html"]].from_string(case["template"])
        return {"result": template.render(case["data"])}
    except Exception as error:  # whatever a template can raise is a result
        return {"error": type(error).__name__, "detail": str(error)}


print(json.dumps({"version": jinja2.__version__}))
for line in sys.stdin:
    print(json.dumps(render(json.loads(line))))
