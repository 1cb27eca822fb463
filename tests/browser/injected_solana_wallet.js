// Registers a wallet as the Wallet Standard says. What it is to sign goes to the test, which has the key.
(() => {
  const account = { address: window.solanaAddress, chains: ["solana:mainnet"], features: ["solana:signMessage"] };
  const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
  const signMessage = async ({ message }) => {
    const signed = atob(await window.solanaSign(base64(message)));
    return [{ signedMessage: message, signature: Uint8Array.from(signed, (letter) => letter.charCodeAt(0)) }];
  };
  const wallet = {
    version: "1.0.0",
    name: "Test Wallet",
    icon: "data:image/svg+xml,<svg/>",
    chains: ["solana:mainnet"],
    accounts: [],
    features: {
      "standard:connect": { connect: async () => ({ accounts: [account] }) },
      "standard:events": { on: () => () => {} },
      "solana:signMessage": { signMessage },
    },
  };
  const register = (api) => api.register(wallet);
  dispatchEvent(new CustomEvent("wallet-standard:register-wallet", { detail: register }));
  addEventListener("wallet-standard:app-ready", (event) => register(event.detail));
})();
