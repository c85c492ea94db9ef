// Elements from data. Text is only ever set as text, so nothing that a chain says can become markup.

/** An element: `h('a', {href, onclick, 'aria-label': …}, 'text', node, [nodes])`. */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (name === 'class') node.className = value
    else if (name === 'data') Object.assign(node.dataset, value)
    else node.setAttribute(name, value === true ? '' : String(value))
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  return node
}

/** A card with a heading; `id` names it for links and for screen readers. */
export function card(id, title, ...children) {
  return h('section', { class: 'card', id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), ...children)
}

/** A table from columns `{title, number?, cell}` and rows. A wide one scrolls by itself and can be reached by keyboard. */
export function table(label, columns, rows) {
  const head = h('tr', {}, columns.map((column) => h('th', { scope: 'col', class: column.number && 'number' }, column.title)))
  const body = rows.map((row) =>
    h('tr', {}, columns.map((column) => h('td', { class: column.number && 'number', 'data-title': column.title }, column.cell(row)))),
  )
  const grid = h('table', { 'aria-label': label }, h('thead', {}, head), h('tbody', {}, body))
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, grid)
}

/** The width of a bar in percent, through the style object, which a strict policy allows. */
export function bar(share, kind = '') {
  const fill = h('i', { class: `fill ${kind}` })
  fill.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`
  return h('span', { class: 'track', 'aria-hidden': 'true' }, fill)
}
