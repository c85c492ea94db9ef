// Elements from data. Text is only ever set as text, so nothing that a chain says can become markup.

/** An element: `h('a', {href, onclick, 'aria-label': …}, 'text', node, [nodes])`. */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (name === 'class') node.className = value
    else if (name === 'data') Object.assign(node.dataset, value)
    else if (name === 'style') for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one)
    else node.setAttribute(name, value === true ? '' : String(value))
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ''))
  return node
}

/** A card with a heading; `id` names it for links and for screen readers. `aside` stands beside the heading. */
export function card(id, title, { aside = null, level = 'h2', kind = '' } = {}, ...children) {
  const head = h(level, { id: `${id}-title` }, title)
  return h(
    'section',
    { class: `card ${kind}`.trim(), id, 'aria-labelledby': `${id}-title` },
    aside ? h('div', { class: 'card-head' }, head, aside) : head,
    ...children,
  )
}

/**
 * A table from columns `{title, number?, kind?, cell}` and rows. A wide one scrolls by itself and can be reached by keyboard.
 * `kind` is a column's class, by which a narrow page lays rows out anew.
 */
export function table(label, columns, rows, kind = '') {
  const of = (column) => [column.number && 'number', column.kind].filter(Boolean).join(' ') || null
  const head = h(
    'tr',
    { role: 'row' },
    columns.map((column) => h('th', { scope: 'col', class: of(column), role: 'columnheader' }, column.title)),
  )
  const body = rows.map((row) =>
    h(
      'tr',
      { role: 'row' },
      columns.map((column) => h('td', { class: of(column), role: 'cell' }, column.cell(row))),
    ),
  )
  const grid = h(
    'table',
    { 'aria-label': label, role: 'table', class: kind || null },
    h('thead', { role: 'rowgroup' }, head),
    h('tbody', { role: 'rowgroup' }, body),
  )
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, grid)
}

const share = (value) => `${Math.max(0, Math.min(1, value)) * 100}%`

/** A bar that is filled to a share, for the eye only: the figure stands beside it. */
export function bar(filled, kind = '', mark = null) {
  return h(
    'span',
    { class: 'track', 'aria-hidden': 'true' },
    filled > 0 ? h('i', { class: `fill ${kind}`.trim(), style: { width: share(filled) } }) : null,
    mark === null ? null : h('i', { class: 'mark', style: { left: share(mark) } }),
  )
}

/** A bar of parts `{kind, share}` beside each other. */
export function stack(parts) {
  return h(
    'span',
    { class: 'track stacked', 'aria-hidden': 'true' },
    parts.map((one) => h('i', { class: `fill ${one.kind}`, style: { width: share(one.share) } })),
  )
}

/** Figures by name: `[[name, value, hint?], …]`, in which a null is left out. */
export function figures(rows, kind = '') {
  return h(
    'dl',
    { class: `figures ${kind}`.trim() },
    rows
      .filter(Boolean)
      .map(([name, value, hint]) => h('div', {}, h('dt', {}, name), h('dd', {}, value, hint ? h('small', {}, hint) : null))),
  )
}

/** One of a few, as buttons: `options` are [value, words]. Arrow keys move as in any group of radio buttons. */
export function choice(name, label, options, chosen, picked) {
  return h(
    'fieldset',
    { class: 'choice' },
    h('legend', { class: 'unseen' }, label),
    options.map(([value, words]) =>
      h(
        'label',
        {},
        h('input', { type: 'radio', name, value, checked: value === chosen, onchange: () => picked(value) }),
        h('span', {}, words),
      ),
    ),
  )
}

/** The first of a long list, the rest behind a summary that says how many there are. */
export function first(most, items, wrap, id) {
  if (items.length <= most + 1) return [wrap(items)]
  return [
    wrap(items.slice(0, most)),
    h('details', { class: 'more', id }, h('summary', {}, `${items.length - most} more`), wrap(items.slice(most))),
  ]
}

/** Whether the page is as narrow as a phone; the style sheets draw the same line. */
export const narrow = () => matchMedia('(max-width: 560px)').matches
