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
