// Applies the theme that was chosen here before the page is drawn, and changes it by the button in the bar. Without a
// choice the system's counts. A classic script: a module would run only after the first paint.
(() => {
  const root = document.documentElement;
  const stored = () => {
    try {
      return localStorage.getItem("jatevo-theme");
    } catch {
      return null;
    }
  };
  const chosen = stored();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", () => {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try {
        localStorage.setItem("jatevo-theme", root.dataset.theme);
      } catch {
        // A browser that stores nothing forgets the choice with the page.
      }
    });
    const here = root.dataset.page;
    document.querySelector(`[data-nav="${here}"]`)?.setAttribute("aria-current", "page");
  });
})();
