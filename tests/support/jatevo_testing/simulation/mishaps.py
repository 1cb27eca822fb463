"""What happens to the store behind everybody's back."""

from jatevo_testing.simulation.auditor import Auditor
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.processes import Engine


def lose_sweep_at(engine: Engine, auditor: Auditor, chance: Chance) -> str:
    """Take some window with something open out of the sweeper's index, and say which: only a full sweep finds it."""
    names = [name for name, window in auditor.windows.items() if window.image.open]
    if not names:
        return "no window is open"
    name = chance.choice(names)
    owner, _, period = name.partition("#")
    engine.calls.update_item(
        TableName=engine.names.windows,
        Key={"owner": {"S": owner}, "period": {"S": period}},
        UpdateExpression="REMOVE sweep_at",
    )
    auditor.lost_sweep_at(name)
    return f"{name} loses its sweep_at"
