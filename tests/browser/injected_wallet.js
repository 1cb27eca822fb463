// Announces a wallet as EIP-6963 says. What it is asked goes to the test, which has the key.
(() => {
  const listeners = {};
  const provider = {
    async request({ method, params }) {
      const answer = await window.walletRequest(method, params ?? []);
      if (answer.error) throw Object.assign(new Error(answer.error.message), { code: answer.error.code });
      return answer.result;
    },
    on(name, listener) {
      (listeners[name] ??= []).push(listener);
    },
  };
  window.emitFromWallet = (name, value) => (listeners[name] ?? []).forEach((listener) => listener(value));
  const info = {
    uuid: "00000000-0000-4000-8000-000000000001",
    name: "Test Wallet",
    icon: "data:image/svg+xml,<svg/>",
    rdns: "test.wallet",
  };
  const detail = Object.freeze({ info, provider });
  const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  addEventListener("eip6963:requestProvider", announce);
  announce();
})();
