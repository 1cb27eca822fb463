"""
What Lambda runs, under the response-stream layer: the app, wired when this module is imported, so that the work is
done while the environment starts. Only Lambda imports it; everything else takes `handler.create_app`.
"""

from importlib import import_module

from jatevo.adapters.http.cors import Cors
from jatevo.bootstrap import Gateway, settings_from
from jatevo_inference.handler import create_app

_settings = settings_from()
_settings.set_up_logs()
_gateway = Gateway(_settings)
app = Cors(create_app(_gateway), _settings.cors_origin)

try:
    _snapshots = import_module("snapshot_restore_py")  # Lambda's runtime carries it
except ImportError:
    pass
else:
    _snapshots.register_before_snapshot(_gateway.dynamodb.disconnect)
