# pragma version ==0.4.3
"""
@title A price feed with the interface of Chainlink's aggregators; its deployer publishes the answers.
"""

description: public(immutable(String[64]))
decimals: public(immutable(uint8))
publisher: public(immutable(address))
version: public(constant(uint256)) = 4

round: uint80
answers: HashMap[uint80, int256]
published_at: HashMap[uint80, uint256]


@deploy
def __init__(description_: String[64], decimals_: uint8):
    description = description_
    decimals = decimals_
    publisher = msg.sender


@external
def publish(answer: int256, updated_at: uint256):
    """
    @notice Start a new round. `updated_at` 0 stands for the time of this block.
    """
    assert msg.sender == publisher, "only the deployer publishes"
    self.round += 1
    self.answers[self.round] = answer
    self.published_at[self.round] = updated_at if updated_at != 0 else block.timestamp


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    assert self.round != 0, "No data present"
    return self._round(self.round)


@external
@view
def getRoundData(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    assert self.published_at[round_id] != 0, "No data present"
    return self._round(round_id)


@internal
@view
def _round(round_id: uint80) -> (uint80, int256, uint256, uint256, uint80):
    at: uint256 = self.published_at[round_id]
    return round_id, self.answers[round_id], at, at, round_id
