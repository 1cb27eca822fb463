// @ts-check
// The operators' page: who has a token may enter its rooms. Everything goes through the admin API.
import { prepareAccounts, showAccounts } from "./admin_accounts.js";
import { admin, attempt, use } from "./admin_api.js";
import { prepareBooks, showBooks } from "./admin_books.js";
import { prepareCatalogue, showCatalogue } from "./admin_catalogue.js";
import { preparePrice, showPrice } from "./admin_price.js";
import { showRoutes } from "./admin_routes.js";
import { byId, field, tabs } from "./dom.js";

/** @type {Record<string, () => Promise<unknown>>} */
const ROOMS = { accounts: () => showAccounts(), books: () => showBooks(), routes: showRoutes, price: showPrice, catalogue: showCatalogue };

/** @param {string} name */
async function enter(name) {
  for (const room of Object.keys(ROOMS)) byId(`room-${room}`).hidden = room !== name;
  await attempt(ROOMS[name] ?? (async () => {}));
}

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  use(field("token").value.trim());
  if (!(await attempt(() => admin("accounts?limit=1")))) return use("");
  field("token").value = "";
  byId("sign-in").hidden = true;
  byId("rooms").hidden = false;
  byId("sign-out").hidden = false;
  await enter("accounts");
}

byId("token-form").addEventListener("submit", signIn);
byId("sign-out").addEventListener("click", () => location.reload());
tabs(enter);
prepareAccounts();
prepareBooks();
preparePrice();
prepareCatalogue();
