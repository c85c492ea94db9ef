// Charts by ECharts, fetched when the first one is wanted. Each has words for those who cannot see it; without ECharts the words stay.

import { h } from './dom.js'

let library = null
const drawn = new Set()

function load() {
  library ??= import('./echarts.js').catch(() => null)
  return library
}

/** The page's colours as the style sheet has them now. */
export function colours() {
  const style = getComputedStyle(document.documentElement)
  const of = (name) => style.getPropertyValue(`--${name}`).trim()
  return {
    text: of('text'), soft: of('soft'), line: of('line'), accent: of('accent'), good: of('good'), warn: of('warn'), bad: of('bad'), card: of('card'),
    series: ['one', 'two', 'three', 'four', 'five', 'six'].map((name) => of(`series-${name}`)),
  }
}

/**
 * A figure with a caption that says what it shows. `option` makes the chart's option from the colours, so that a change of theme
 * only asks again.
 */
export function chart(label, option, { height = 260 } = {}) {
  const canvas = h('div', { class: 'chart', role: 'img', 'aria-label': label })
  canvas.style.height = `${height}px`
  const figure = h('figure', {}, canvas, h('figcaption', {}, label))
  const one = { canvas, option, instance: null }
  queueMicrotask(() => draw(one))
  return figure
}

async function draw(one) {
  const echarts = await load()
  if (!echarts) {
    one.canvas.replaceWith(h('p', { class: 'soft' }, 'The chart could not be drawn here.'))
    return
  }
  if (!one.canvas.isConnected) return
  one.instance ??= echarts.init(one.canvas, null, { renderer: 'canvas' })
  one.instance.setOption(one.option(colours()), { notMerge: true })
  drawn.add(one)
  sizes.observe(one.canvas)
}

const sizes = new ResizeObserver((entries) => {
  for (const one of drawn) {
    if (!one.canvas.isConnected) {
      one.instance.dispose()
      sizes.unobserve(one.canvas)
      drawn.delete(one)
    } else if (entries.some((entry) => entry.target === one.canvas)) one.instance.resize()
  }
})

/** After a change of colours. */
export function redraw() {
  for (const one of drawn) one.instance.setOption(one.option(colours()), { notMerge: true })
}

/** What every chart here shares: quiet axes, tooltips as text, no animation for those who want none. */
export function base(palette) {
  return {
    animation: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    animationDuration: 250,
    color: palette.series,
    textStyle: { color: palette.text, fontFamily: 'inherit' },
    grid: { left: 8, right: 16, top: 28, bottom: 8, containLabel: true },
    tooltip: { trigger: 'axis', renderMode: 'richText', backgroundColor: palette.card, borderColor: palette.line, textStyle: { color: palette.text } },
    legend: { top: 0, left: 0, icon: 'roundRect', textStyle: { color: palette.soft, fontSize: 13 }, itemWidth: 14, itemHeight: 4 },
  }
}

export function axis(palette, more = {}) {
  return {
    axisLine: { lineStyle: { color: palette.line } }, axisTick: { show: false }, axisLabel: { color: palette.soft, fontSize: 12, hideOverlap: true },
    splitLine: { lineStyle: { color: palette.line, opacity: 0.5 } }, nameTextStyle: { color: palette.soft }, ...more,
  }
}
