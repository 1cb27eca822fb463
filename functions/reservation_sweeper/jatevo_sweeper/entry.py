"""
What Lambda calls: the handler, its gateway wired and its tables read when this module is imported, so that a wrong
environment shows while the function starts. Only Lambda imports it; everything else takes `handler.lambda_handler`.
"""

from jatevo_sweeper.handler import gateway, lambda_handler

__all__ = ["lambda_handler"]

gateway().settings.set_up_logs()
gateway().check_windows()
