// Brings a part of the page up to date in place: what is the same stays, with its focus, its scroll and what was opened, and a figure that
// changed says so for a moment.

const STAYS = 1600

/**
 * Makes `old` look like `fresh`. What has `data-own` keeps its own content; an open `details` stays open.
 * Listeners of `fresh` are lost where `old` has the element already, so that parts with listeners are `data-own`.
 */
export function morph(old, fresh) {
  if (old.isEqualNode(fresh) || old.dataset?.own !== undefined) return old
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh)
    return fresh
  }
  attributes(old, fresh)
  const after = [...fresh.childNodes]
  after.forEach((child, place) => {
    const known = found(old, child, place)
    if (!known) old.append(child)
    else if (child.nodeType === Node.TEXT_NODE && known.nodeType === Node.TEXT_NODE) {
      if (known.data === child.data) return
      known.data = child.data
      changed(old)
    } else if (child.nodeType === known.nodeType) morph(known, child)
    else known.replaceWith(child)
  })
  while (old.childNodes.length > after.length) old.lastChild.remove()
  return old
}

/** What stands at a place, or the element of the same name from elsewhere, which is brought there first. */
function found(old, child, place) {
  const known = old.childNodes[place]
  if (!child.id || known?.id === child.id) return known
  const same = [...old.children].find((one) => one.id === child.id)
  if (!same) return known
  old.insertBefore(same, known ?? null)
  return same
}

function attributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) === value || name === 'open') continue
    // the policy forbids styles as attributes, not through the style object
    if (name === 'style') old.style.cssText = value
    else old.setAttribute(name, value)
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== 'open') old.removeAttribute(name)
}

/** A tint that fades; those who want no motion see it come and go at once. */
function changed(element) {
  if (!element.closest('dd, td, .figure, .pill')) return
  element.classList.add('changed')
  setTimeout(() => element.classList.remove('changed'), STAYS)
}
