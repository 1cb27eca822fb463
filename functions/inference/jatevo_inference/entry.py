"""
What Lambda runs, under the response-stream layer: the app, wired when this module is imported, so that the work is
done while the environment starts. Only Lambda imports it; everything else takes `handler.create_app`.
"""

from jatevo.adapters.http.cors import Cors
from jatevo.bootstrap import Gateway, settings_from
from jatevo_inference.handler import create_app

_settings = settings_from()
app = Cors(create_app(Gateway(_settings)), _settings.cors_origin)
