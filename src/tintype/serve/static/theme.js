// Dark or light as the user chose, before anything is drawn.

/** Where the browser keeps things for this page; null where it was told to keep nothing. */
function memory() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

const chosenTheme = memory()?.getItem("theme");
if (chosenTheme) document.documentElement.dataset.theme = chosenTheme;

/** The other of the two, kept for the next time. */
function changeTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : !matchMedia("(prefers-color-scheme: light)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  memory()?.setItem("theme", root.dataset.theme);
}
