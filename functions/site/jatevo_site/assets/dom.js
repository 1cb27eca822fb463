// @ts-check
// Small helpers over the DOM. Text is always text: nothing here parses markup.

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (found);
}

/**
 * @param {string} id
 * @returns {HTMLInputElement}
 */
export const field = (id) => byId(id);

/**
 * @param {string} id
 * @param {number} share in whole percent
 */
export function fill(id, share) {
  /** @type {HTMLMeterElement} */ (byId(id)).value = share;
}

/**
 * Make an element: attributes by name (`on…` for listeners), children as elements or text.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an SVG element.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  set(element, attributes);
  element.append(...children);
  return element;
}

/**
 * @param {Element} element
 * @param {Record<string, unknown>} attributes
 */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
}

/**
 * Copy a text when a button is pressed. Where the browser forbids it, the text is marked, for the person to copy.
 * @param {HTMLElement} button
 * @param {HTMLElement} place whose text it is
 */
export function copies(button, place) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(place.textContent ?? "");
      button.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(place);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => (button.textContent = label), 2000);
  });
}

/**
 * Let tabs be chosen by pointer and by arrow keys, one of them at a time.
 * @param {(name: string) => void} chosen is told the name: of `tab-name`
 */
export function tabs(chosen) {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[role="tab"]')]);
  const choose = (/** @type {HTMLElement} */ tab) => {
    for (const each of all) {
      each.setAttribute("aria-selected", String(each === tab));
      each.setAttribute("tabindex", each === tab ? "0" : "-1");
    }
    chosen(tab.id.replace("tab-", ""));
  };
  for (const [index, tab] of all.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: all.length - 1 }[event.key];
      const next = to === undefined ? undefined : all.at(to % all.length);
      if (!next) return;
      event.preventDefault();
      next.focus();
      choose(next);
    });
  }
}

/**
 * Show a message in a place made for it; null hides it.
 * @param {HTMLElement} place
 * @param {string | null} text
 * @param {"bad" | "warn" | "good"} [tone]
 */
export function notice(place, text, tone = "bad") {
  place.hidden = text === null;
  place.className = `notice ${tone}`;
  place.textContent = text ?? "";
}
