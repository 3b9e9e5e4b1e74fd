// Elements from words: make("button.small", {title: "…"}, "text", child, …).

export const byId = (id) => document.getElementById(id);

export function make(kind, properties = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const element = document.createElement(name);
  if (classes.length) element.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element && !key.startsWith("aria")) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set a text only where it is another one, so that nothing is read twice. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
