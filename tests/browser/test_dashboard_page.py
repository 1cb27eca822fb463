"""The dashboard: a wallet signs in, a key is made and used by a real client, and both counters move on the open page."""

from dataclasses import dataclass, field

from eth_account import Account

# Announces a wallet as EIP-6963 says; its signatures are made by the test, with a real key.
INJECTED = """
(() => {
  const listeners = {};
  const provider = {
    request: ({method, params}) => window.walletRequest(method, params ?? []).then(answer => {
      if (answer.error) { const error = new Error(answer.error.message); error.code = answer.error.code; throw error; }
      return answer.result;
    }),
    on: (name, listener) => { (listeners[name] ??= []).push(listener); },
  };
  window.emitFromWallet = (name, value) => (listeners[name] ?? []).forEach(listener => listener(value));
  const info = {uuid: "00000000-0000-4000-8000-000000000001", name: "Test Wallet", icon: "data:image/svg+xml,<svg/>", rdns: "test.wallet"};
  const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", {detail: Object.freeze({info, provider})}));
  addEventListener("eip6963:requestProvider", announce);
  announce();
})();
"""
CONNECT = "[data-wallet^='eip6963']"


@dataclass
class InjectedWallet:
    """The wallet that the pages find."""

    account: object = field(default_factory=Account.create)
    declines: bool = False
    signed: list[str] = field(default_factory=list)
