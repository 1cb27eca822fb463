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
  const other = { ...info, uuid: "00000000-0000-4000-8000-000000000002", name: "<img src=x onerror=alert(1)>", icon: "javascript:alert(1)" };
  const announced = [Object.freeze({ info, provider }), Object.freeze({ info: other, provider }), null, { info: {}, provider: {} }];
  const announce = () => announced.forEach((detail) => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail })));
  addEventListener("eip6963:requestProvider", announce);
  announce();
})();
