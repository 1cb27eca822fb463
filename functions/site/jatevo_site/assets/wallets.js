// @ts-check
// Wallets in this browser: those that announce themselves by EIP-6963 (Ethereum) and by the Wallet Standard (Solana), and
// the local stack's demo wallet. Each can say its address and sign a text; neither standard needs a package.

/**
 * @typedef {object} Wallet
 * @property {string} id
 * @property {string} name
 * @property {string | null} icon a data: address, or null
 * @property {() => Promise<{chain: string, address: string}>} connect asks the person; throws when refused
 * @property {(message: string, address: string) => Promise<string>} sign asks the person; throws when refused
 * @property {((listener: (addresses: string[]) => void) => void) | null} onChange calls back with the accounts that the
 *   wallet shows from now on. Which chain it shows is of no account: an address is the same on all of them.
 */

const HEX = "0123456789abcdef";

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => HEX[byte >> 4] + HEX[byte & 15]).join("");

/** @param {Uint8Array} bytes */
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** @param {unknown} icon */
const safeIcon = (icon) => (typeof icon === "string" && /^data:image\/(png|svg\+xml|webp|jpeg|gif)[;,]/.test(icon) ? icon : null);

/**
 * @param {any} detail as EIP-6963 describes it; any script in the page may have made it
 * @returns {Wallet | null} null when it cannot be asked
 */
function ethereum(detail) {
  const { info, provider } = detail ?? {};
  if (typeof info?.uuid !== "string" || typeof provider?.request !== "function") return null;
  return {
    id: `eip6963:${info.uuid}`,
    name: String(info.name).slice(0, 60),
    icon: safeIcon(info.icon),
    async connect() {
      const [address] = await provider.request({ method: "eth_requestAccounts" });
      if (!address) throw new Error("The wallet gave no account.");
      return { chain: "ethereum", address };
    },
    sign: (message, address) =>
      provider.request({ method: "personal_sign", params: [`0x${hex(new TextEncoder().encode(message))}`, address] }),
    onChange: provider.on ? (listener) => provider.on("accountsChanged", listener) : null,
  };
}

/**
 * @param {any} wallet as the Wallet Standard describes it
 * @returns {Wallet | null} null when it cannot sign texts on Solana
 */
function solana(wallet) {
  const connect = wallet?.features?.["standard:connect"];
  const signer = wallet?.features?.["solana:signMessage"];
  if (!connect || !signer || !wallet.chains?.some((/** @type {string} */ chain) => chain.startsWith("solana:"))) return null;
  /** @type {any} */
  let account = null;
  return {
    id: `standard:${wallet.name}`,
    name: `${String(wallet.name).slice(0, 50)} (Solana)`,
    icon: safeIcon(wallet.icon),
    async connect() {
      const { accounts } = await connect.connect();
      account = accounts.find((/** @type {any} */ each) => each.chains.some((/** @type {string} */ chain) => chain.startsWith("solana:")));
      if (!account) throw new Error("The wallet has no account on Solana.");
      return { chain: "solana", address: account.address };
    },
    async sign(message) {
      const [signed] = await signer.signMessage({ account, message: new TextEncoder().encode(message) });
      return base64(signed.signature);
    },
    onChange: wallet.features["standard:events"]
      ? (listener) =>
          wallet.features["standard:events"].on("change", (/** @type {any} */ { accounts }) => {
            if (accounts) listener(accounts.map((/** @type {any} */ each) => each.address));
          })
      : null,
  };
}

/**
 * Call `found` for each wallet that is or becomes known.
 * @param {(wallet: Wallet) => void} found
 */
export function discover(found) {
  const seen = new Set();
  const add = (/** @type {Wallet | null} */ wallet) => {
    if (wallet === null || seen.has(wallet.id)) return;
    seen.add(wallet.id);
    found(wallet);
  };
  addEventListener("eip6963:announceProvider", (event) => add(ethereum(/** @type {CustomEvent} */ (event).detail)));
  dispatchEvent(new Event("eip6963:requestProvider"));
  const api = Object.freeze({ register: (/** @type {any[]} */ ...wallets) => wallets.forEach((wallet) => add(solana(wallet))) });
  addEventListener("wallet-standard:register-wallet", (event) => /** @type {CustomEvent} */ (event).detail(api));
  dispatchEvent(new CustomEvent("wallet-standard:app-ready", { detail: api }));
  demo().then(add, () => {});
}

/** @returns {Promise<Wallet | null>} the local stack's own wallet; there is none anywhere else */
async function demo() {
  if (!["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)) return null;
  const answer = await fetch("local/v1/demo-wallet");
  if (!answer.ok) return null;
  const { chain, address } = await answer.json();
  if (address === null) return null;
  return {
    id: "demo",
    name: "Demo wallet of this machine",
    icon: null,
    connect: async () => ({ chain, address }),
    async sign(message) {
      const signed = await fetch("local/v1/demo-wallet/sign", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ message }),
      });
      if (!signed.ok) throw new Error("The demo wallet did not sign.");
      return (await signed.json()).signature;
    },
    onChange: null,
  };
}
