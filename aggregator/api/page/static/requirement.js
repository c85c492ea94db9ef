// The requirement at its three levels of netting, against the equity that must cover it.

import { bar, card, h, table } from './dom.js'
import * as format from './format.js'
import { humane, scenario } from './words.js'

const LEVELS = [
  ['Isolated', 'isolated_requirement_usd', 'each account by itself'],
  ['Transfer-aware', 'requirement_usd', 'with help that arrives in time'],
  ['Pooled', 'pooled_requirement_usd', 'all in one pot'],
]

export function requirement(document) {
  const { health } = document
  const equity = format.number(health.equity_usd)
  const known = LEVELS.map(([, field]) => format.number(health[field])).filter((one) => one !== null)
  const largest = Math.max(...known, equity ?? 0, 0)
  const mark = equity !== null && equity > 0 && largest > 0 ? equity / largest : null
  return card(
    'requirement',
    'Requirement and equity',
    {},
    h(
      'dl',
      { class: 'levels' },
      LEVELS.map(([name, field, hint]) => {
        const amount = format.number(health[field])
        return h(
          'div',
          { class: field === 'requirement_usd' ? 'chosen' : null },
          h('dt', {}, name, h('small', {}, hint)),
          h(
            'dd',
            {},
            bar(largest && amount !== null ? amount / largest : 0, equity !== null && amount > equity ? 'bad' : '', mark),
            h('span', { class: 'figure' }, format.shortUsd(health[field])),
          ),
        )
      }),
      h(
        'div',
        { class: 'equity' },
        h('dt', {}, 'Equity', h('small', {}, 'what stands against it')),
        h('dd', {}, bar(mark ?? 0, 'equity'), h('span', { class: 'figure' }, format.shortUsd(health.equity_usd))),
      ),
    ),
    h(
      'div',
      { class: 'words' },
      words(health).map((text) => h('p', {}, text)),
    ),
    h('div', { class: 'drawers' }, worst(health), comparison(document.isolated_versus_cross)),
  )
}

function words(health) {
  const [equity, required, ratio, saved, trapped] = [
    'equity_usd',
    'requirement_usd',
    'margin_ratio',
    'netting_benefit_usd',
    'trapped_collateral_usd',
  ].map((name) => format.number(health[name]))
  if (required === null) return ['What is required is not known, because a debt could not be read or valued.']
  if (required === 0) return ['Nothing is required: no scenario takes anything away.']
  const said = []
  if (ratio === null) said.push('This is of what has a price. An asset without one could require more, so the margin ratio is left open.')
  else
    said.push(
      ratio >= 1
        ? `Equity covers the requirement ${format.ratio(ratio)} times, with ${format.shortUsd(equity - required)} of headroom.`
        : `Equity falls short of the requirement by ${format.shortUsd(required - equity)}.`,
    )
  if (health.worst_scenario)
    said.push(
      `The worst that is tested is ${scenario(health.worst_scenario.name)}, which would lose ${format.shortUsd(health.worst_scenario.loss_usd)}.`,
    )
  if (saved > 0) said.push(`Netting across accounts saves ${format.shortUsd(saved)}.`)
  if (trapped > 0) said.push(`${format.shortUsd(trapped)} cannot arrive in time where it would be needed.`)
  return [said.join(' ')]
}

function worst(health) {
  if (!health.scenarios.length) return null
  const largest = Math.max(...health.scenarios.map((one) => format.number(one.loss_usd) ?? 0), 1e-9)
  const sentence = (name) => scenario(name).replace(/^./, (letter) => letter.toUpperCase())
  return h(
    'details',
    { id: 'scenarios' },
    h('summary', {}, 'Worst scenarios'),
    h(
      'ul',
      { class: 'ranked' },
      health.scenarios.map((one) =>
        h(
          'li',
          {},
          h('span', { title: one.name }, sentence(one.name)),
          h('span', { class: 'figure' }, format.shortUsd(one.loss_usd)),
          bar((format.number(one.loss_usd) ?? 0) / largest, 'owed'),
        ),
      ),
    ),
  )
}

function comparison(compared) {
  if (!compared) return null
  const rows = [
    ['Delta', compared.delta],
    ['Vega', compared.vega],
    ['Requirement', compared.requirement],
  ]
  const trigger = compared.liquidation_trigger
  return h(
    'details',
    { id: 'compare' },
    h('summary', {}, 'Isolated or cross'),
    table(
      'Isolated versus cross',
      [
        { title: 'Figure', cell: ([name]) => name },
        { title: 'Isolated', number: true, cell: ([, pair]) => format.usd(pair.isolated) },
        { title: 'Cross', number: true, cell: ([, pair]) => format.usd(pair.cross) },
      ],
      rows,
    ),
    h(
      'p',
      { class: 'soft' },
      `Isolated, the first to fall: ${humane(trigger.isolated ?? 'no account can be liquidated')}. Cross: ${humane(trigger.cross ?? 'no liquidation')}.`,
    ),
  )
}
