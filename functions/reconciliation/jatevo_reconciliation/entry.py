"""
What Lambda calls: the handler, its gateway wired and a table read when this module is imported, so that a wrong
environment shows while the function starts. Only Lambda imports it; everything else takes `handler.lambda_handler`.
"""

from jatevo_reconciliation.handler import gateway, lambda_handler

__all__ = ["lambda_handler"]

gateway().settings.set_up_logs()
gateway().check_books()
