// An owner's history: one figure over time, with those assessments marked that no longer stand.

import * as api from './api.js'
import { axis, base, chart } from './charts.js'
import { card, choice, figures, h } from './dom.js'
import * as format from './format.js'
import * as states from './states.js'
import { when } from './when.js'

const SHOWN = {
  score: { words: 'Score', show: format.score, axis: (value) => String(value) },
  margin_ratio: { words: 'Margin ratio', show: format.ratio, axis: (value) => String(value) },
  equity_usd: { words: 'Equity', show: format.shortUsd, axis: format.axisUsd },
}

/** `{section, read}`; `read` brings it up to date. */
export function historyCard(name, signal) {
  const body = h('div', { class: 'body' }, states.loading('the history', 6))
  let shown = 'score'
  let points = []
  const drawn = chart({ height: 240 })
  const pick = choice(
    'history',
    'Figure',
    Object.entries(SHOWN).map(([value, one]) => [value, one.words]),
    shown,
    (value) => {
      shown = value
      draw(drawn, points, shown)
    },
  )
  const section = card('history', 'History', { aside: pick }, body)
  section.dataset.own = ''
  const read = async () => {
    try {
      points = (await api.history(name, signal)).points
      pick.hidden = points.length < 2
      if (points.length < 2) body.replaceChildren(...single(points))
      else {
        if (!drawn.figure.isConnected) body.replaceChildren(drawn.figure)
        draw(drawn, points, shown)
      }
    } catch (problem) {
      if (problem.name !== 'AbortError') body.replaceChildren(states.failed(problem, read))
    }
  }
  return { section, read }
}

function single(points) {
  if (!points.length)
    return [h('p', { class: 'soft' }, 'Nothing has been kept yet. A point is added whenever a block changes something here.')]
  const [one] = points
  return [
    figures(Object.entries(SHOWN).map(([field, { words, show }]) => [words, show(one[field])])),
    h(
      'p',
      { class: 'soft' },
      'One assessment so far, ',
      when(one.timestamp),
      '. A line is drawn from the second on, which comes when a block changes something here.',
    ),
  ]
}

function draw(drawn, points, field) {
  const { words, show, axis: mark } = SHOWN[field]
  const value = (one) => format.number(one[field])
  const standing = points.filter((one) => !one.withdrawn_at)
  const gone = points.filter((one) => one.withdrawn_at && value(one) !== null)
  const known = standing.map(value).filter((one) => one !== null)
  const [lowest, highest] = [Math.min(...known), Math.max(...known)]
  const label = known.length
    ? `${words} over ${format.count(standing.length)} assessments: between ${show(lowest)} and ${show(highest)}, now ${show(standing.at(-1)[field])}.${gone.length ? ` ${gone.length} withdrawn because blocks were replaced.` : ''}`
    : `${words} was not known at any assessment.`
  drawn.show(label, (palette) => ({
    ...base(palette),
    legend: { show: false },
    grid: { left: 4, right: 28, top: 12, bottom: 4, containLabel: true },
    tooltip: {
      ...base(palette).tooltip,
      formatter: (found) =>
        [
          ...new Set(
            []
              .concat(found)
              .map(
                (one) => `${format.moment(one.value[0])}\n${one.seriesName}: ${one.value[1] === null ? 'not known' : show(one.value[1])}`,
              ),
          ),
        ].join('\n'),
    },
    xAxis: axis(palette, { type: 'time', minInterval: 1000, splitLine: { show: false } }),
    yAxis: axis(palette, {
      scale: true,
      axisLabel: { formatter: mark },
      ...(field === 'score' ? { max: (range) => (range.max > 95 ? 100 : null) } : {}),
    }),
    series: [
      {
        name: words,
        type: 'line',
        step: 'end',
        showSymbol: standing.length < 60,
        symbolSize: 5,
        lineStyle: { width: 2 },
        areaStyle: { opacity: 0.06 },
        connectNulls: false,
        data: standing.map((one) => [one.timestamp, value(one)]),
      },
      {
        name: 'withdrawn',
        type: 'scatter',
        symbol: 'diamond',
        symbolSize: 9,
        itemStyle: { color: 'transparent', borderColor: palette.warn, borderWidth: 2 },
        data: gone.map((one) => [one.timestamp, value(one)]),
      },
    ],
  }))
}
