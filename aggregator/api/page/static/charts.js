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
    text: of('text'),
    soft: of('soft'),
    line: of('line'),
    accent: of('accent'),
    warn: of('warn'),
    bad: of('bad'),
    card: of('card'),
    sunk: of('sunk'),
    onAccent: of('on-accent'),
    series: ['one', 'two', 'three', 'four'].map((name) => of(`series-${name}`)),
    font: of('font'),
  }
}

/**
 * A figure `{figure, show}`. `show(label, option)` draws: `label` says what is seen, `option` makes the chart's option from the colours,
 * so that a change of theme only asks again. The place is kept free before anything is drawn.
 */
export function chart({ height = 260, caption = true } = {}) {
  const canvas = h('div', { class: 'chart', role: 'img', style: { height: `${height}px` } })
  const words = h('figcaption', { class: caption ? '' : 'unseen' })
  const one = { canvas, option: null, instance: null }
  return {
    figure: h('figure', { 'data-own': true }, canvas, words),
    show(label, option) {
      canvas.setAttribute('aria-label', label)
      words.textContent = label
      one.option = option
      queueMicrotask(() => draw(one))
    },
  }
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
    textStyle: { color: palette.text, fontFamily: palette.font },
    grid: { left: 4, right: 14, top: 36, bottom: 4, containLabel: true },
    tooltip: {
      trigger: 'axis',
      renderMode: 'richText',
      confine: true,
      backgroundColor: palette.card,
      borderColor: palette.line,
      padding: [8, 12],
      textStyle: { color: palette.text, fontSize: 13 },
      axisPointer: { lineStyle: { color: palette.soft, type: 'solid', width: 1 } },
    },
    legend: {
      top: 0,
      left: 0,
      icon: 'roundRect',
      textStyle: { color: palette.soft, fontSize: 13 },
      itemWidth: 14,
      itemHeight: 4,
      itemGap: 18,
    },
  }
}

export function axis(palette, more = {}) {
  return {
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: palette.line } },
    nameTextStyle: { color: palette.soft, fontSize: 12 },
    ...more,
    axisLabel: { color: palette.soft, fontSize: 12, hideOverlap: true, ...more.axisLabel },
  }
}
