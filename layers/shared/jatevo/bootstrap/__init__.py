"""
From the environment to wired objects: environment → settings (`settings`) → objects (`gateway`). The only reader of
`os.environ`.
"""

from jatevo.bootstrap.gateway import Gateway, Process
from jatevo.bootstrap.settings import JTVO, Settings, SettingsError, settings_from

__all__ = ["JTVO", "Gateway", "Process", "Settings", "SettingsError", "settings_from"]
