// @ts-check
// The catalogue as its document: compared first, then applied.
import { admin, attempt, done } from "./admin_api.js";
import { byId, field, notice } from "./dom.js";
import { moment } from "./time.js";

export async function showCatalogue() {
  const record = await admin("catalog");
  byId("catalogue-version").textContent = `version ${record.version}, applied ${moment(record.applied_at_unix_s)} by ${record.applied_by}`;
  field("catalogue").value = JSON.stringify(record.document, null, 2);
  byId("difference").hidden = true;
}

/** @param {boolean} dryRun */
async function applyCatalogue(dryRun) {
  let document_;
  try {
    document_ = JSON.parse(field("catalogue").value);
  } catch (error) {
    notice(byId("notice"), `The catalogue is not JSON: ${error instanceof Error ? error.message : error}`);
    return;
  }
  const applied = await admin("catalog", { method: "PUT", body: { document: document_, dry_run: dryRun } });
  if (!dryRun) await showCatalogue();
  byId("difference").textContent = applied.difference.join("\n") || "Nothing would change.";
  byId("difference").hidden = false;
  if (!dryRun) done(`Version ${applied.version} is in force.`);
}

export function prepareCatalogue() {
  byId("compare").addEventListener("click", () => attempt(() => applyCatalogue(true)));
  byId("catalogue-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (confirm("Apply this catalogue? Prices of requests already reserved stay as they are.")) attempt(() => applyCatalogue(false));
  });
}
