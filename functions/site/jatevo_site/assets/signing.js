// @ts-check
// Wallets as buttons, and the proof that one is the person's: the gateway's text, signed.
import { byId, h, notice } from "./dom.js";
import { Refusal, json } from "./http.js";
import { discover } from "./wallets.js";

/** @typedef {import("./wallets.js").Wallet} Wallet */
/** @typedef {{nonce: string, signature: string}} Proof */

/** The addresses that each wallet of this page has given, by the wallet's id. */
const given = new Map();

/**
 * Offer each wallet of this browser, for signing in and for linking.
 * @param {(proof: Proof) => Promise<void>} signIn
 * @param {(proof: Proof) => Promise<void>} link
 */
export function offerWallets(signIn, link) {
  discover((wallet) => {
    byId("no-wallets").hidden = true;
    byId("wallets").append(h("li", {}, button(wallet, async () => signIn(await proof(wallet, false)))));
    byId("more-wallets").append(h("li", {}, button(wallet, async () => link(await proof(wallet, true)))));
    wallet.onChange?.((addresses) => changed(wallet, addresses));
  });
}

/**
 * @param {Wallet} wallet
 * @param {string[]} addresses
 */
function changed(wallet, addresses) {
  const before = given.get(wallet.id);
  const still = addresses.some((address) => String(address).toLowerCase() === before?.toLowerCase());
  if (!before || still || byId("account").hidden) return;
  notice(byId("notice"), `${wallet.name} shows another account now. You are still signed in as before; sign out to use the other.`, "warn");
}

/**
 * @param {Wallet} wallet
 * @param {() => Promise<void>} use
 */
function button(wallet, use) {
  const icon = wallet.icon ? h("img", { src: wallet.icon, alt: "" }) : h("span", { class: "blank", "aria-hidden": "true" }, wallet.name.slice(0, 1));
  const state = h("span", { class: "state muted small" });
  const made = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "second", "data-wallet": wallet.id }, icon, h("span", {}, wallet.name), state));
  made.addEventListener("click", async () => {
    made.disabled = true;
    state.textContent = "Waiting for the wallet…";
    notice(byId("notice"), null);
    try {
      await use();
    } catch (error) {
      notice(byId("notice"), words(error));
    }
    state.textContent = "";
    made.disabled = false;
  });
  return made;
}

/** @param {any} error of the gateway, or of a wallet: whatever that throws */
function words(error) {
  if (error instanceof Refusal) return error.message;
  if (error?.code === 4001 || /reject|declin|denied|cancel/i.test(String(error?.message ?? ""))) return "The wallet declined. Nothing was signed.";
  if (error?.code === -32002) return "The wallet is still waiting for an answer. Open it, then try again.";
  return "The wallet did not answer as it should. Unlock it and try again.";
}

/**
 * @param {Wallet} wallet
 * @param {boolean} link to the account that is signed in, instead of signing in
 * @returns {Promise<Proof>}
 */
async function proof(wallet, link) {
  const { chain, address } = await wallet.connect();
  given.set(wallet.id, address);
  const { nonce, message } = await json("account/v1/auth/challenge", { method: "POST", body: { chain, address, link } });
  return { nonce, signature: await wallet.sign(message, address) };
}
